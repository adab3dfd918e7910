"""``python -m combo_lightning``, and the console script ``combo-lightning``."""

import sys

from combo_lightning.cli.main import run_program


def main() -> None:
    """Run the program with the arguments of the process."""
    sys.exit(run_program(sys.argv[1:]))


if __name__ == "__main__":
    main()
