"""The `systolic` command."""


def main() -> None:
    """Run the command."""
