"""`python -m crypto_refactor`: the same as `crypto-refactor`."""

from crypto_refactor.cli.main import run

if __name__ == "__main__":
    run()
