"""`python -m keras_azure` is `kaz`."""

from keras_azure.cli import main

if __name__ == "__main__":
    main()
