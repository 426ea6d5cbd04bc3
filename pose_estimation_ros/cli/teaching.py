"""What `--help` shows below the options: how a command is called, and where to read on."""

from __future__ import annotations


def examples(*commands: str, docs: str) -> str:
    """Return the epilog of a command.

    Args:
        commands: Command lines to copy, without the leading 'pose-estimation'.
        docs: File of the repository that tells more.
    """
    # A blank line between them keeps every version of typer from joining the lines.
    lines = ['Example:' if len(commands) == 1 else 'Examples:',
             *(f'pose-estimation {command}' for command in commands), f'More in {docs}.']
    return '\n\n'.join(lines)
