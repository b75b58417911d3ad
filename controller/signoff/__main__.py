"""``python -m signoff`` is the ``signoff`` command."""

from signoff.cli import main

if __name__ == "__main__":
    main()
