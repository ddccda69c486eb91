# imblens with everything that runs on a CPU:
#   docker build -t imblens . && docker run --rm -v "$PWD:/work" imblens audit ARRAYS.npz
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY src src
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /wheels

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu "$(ls /wheels/*.whl)[train]" \
    && rm -r /wheels && useradd --create-home imblens
USER imblens
WORKDIR /work
ENTRYPOINT ["imblens"]
CMD ["--help"]
