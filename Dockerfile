# imblens for arrays, tables and runs:
#   docker build -t imblens . && docker run --rm -v "$PWD:/work" imblens audit ARRAYS.npz
# With networks: docker build --build-arg EXTRAS='[train]' ...; PIP_EXTRA_INDEX_URL names an index of PyTorch for CPUs only.
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY src src
RUN pip install --no-cache-dir build && python -m build --wheel --outdir /wheels

FROM python:3.12-slim
COPY --from=build /wheels /wheels
ARG EXTRAS=""
ARG PIP_EXTRA_INDEX_URL=""
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)${EXTRAS}" \
    && rm -r /wheels && useradd --create-home imblens
USER imblens
WORKDIR /work
ENTRYPOINT ["imblens"]
CMD ["--help"]
