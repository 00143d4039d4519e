"""`python -m vonad` is `vonad`."""

from vonad.cli import main

if __name__ == "__main__":
    main()
