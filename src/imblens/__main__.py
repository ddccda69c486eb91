"""`python -m imblens`: the command line, where its script is not on the path."""

from imblens.cli import main

if __name__ == "__main__":
    main()
