"""`python -m guardpanel` is the `guardpanel` command."""

from guardpanel.cli import main

if __name__ == "__main__":
    main()
