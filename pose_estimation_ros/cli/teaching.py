"""What `--help` shows below the options: how a command is called, and where to read on."""

from __future__ import annotations


def examples(*commands: str, docs: str) -> str:
    r"""Return the epilog of a command.

    Args:
        commands: Command lines to copy, without the leading 'pose-estimation'.
        docs: File of the repository that tells more.
    """
    # \b keeps click from filling the lines up into one paragraph.
    lines = ['\b', 'Example:' if len(commands) == 1 else 'Examples:',
             *(f'  pose-estimation {command}' for command in commands), '', f'More in {docs}.']
    return '\n'.join(lines)
