"""`python -m simulator` is the `systolic` command."""

import os

if __name__ == "__main__":
    try:
        from simulator.cli import main

        main()
    except KeyboardInterrupt:  # before the command itself could take notice
        os._exit(130)
