"""Every command of `pose-estimation` as data, for the page that lists them and for its checks.

Read from the commands' functions, not from click: typer brings a click of its own since 0.26.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo


@dataclass(frozen=True)
class CommandParameter:
    """An option or an argument of a command.

    Attributes:
        names: As typed, such as ('--out', '-o'); of an argument one name without dashes.
        kind: Of the value: 'text', 'number', 'path', the choices joined by commas, '' of a switch.
        default: As typed; '' = none.
        required: It must be given.
        help: One or more sentences.
    """

    names: tuple[str, ...]
    kind: str
    default: str
    required: bool
    help: str

    @property
    def is_option(self) -> bool:
        """Whether it is given by name."""
        return self.names[0].startswith('-')


@dataclass(frozen=True)
class CommandEntry:
    """A command.

    Attributes:
        path: Words after `pose-estimation`.
        help: What it does.
        parameters: Arguments and options as declared.
    """

    path: tuple[str, ...]
    help: str
    parameters: tuple[CommandParameter, ...]

    def option(self, name: str) -> CommandParameter | None:
        """Return the option of a name, None if the command has none such."""
        return next((item for item in self.parameters if item.is_option and name in item.names),
                    None)


def commands_of(app: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[CommandEntry]:
    """Yield every command of an application, those of groups after its own."""
    for command in app.registered_commands:
        callback = command.callback
        if callback is not None and not command.hidden:
            name = command.name or callback.__name__.replace('_', '-')
            yield CommandEntry((*path, name), inspect.getdoc(callback) or '',
                               tuple(_parameters_of(callback)))
    for group in app.registered_groups:
        if group.typer_instance is not None and group.name is not None:
            yield from commands_of(group.typer_instance, (*path, group.name))


def _parameters_of(callback: Any) -> Iterator[CommandParameter]:
    hints = get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        hint, info = hints[name], parameter.default
        if get_origin(hint) is Annotated:
            # `name: Annotated[type, typer.Option('--name', ...)] = default`; what Option takes as
            # its default is then its first name.
            hint, info, default = *get_args(hint)[:2], parameter.default
            declared: tuple[str, ...] = () if info.default is ... else (info.default,)
            required = default is inspect.Parameter.empty
        elif isinstance(info, OptionInfo | ArgumentInfo):
            # `name: type = typer.Option(default, ...)`
            default, declared = info.default, ()
            required = default is ...
        if not isinstance(info, OptionInfo | ArgumentInfo) or info.hidden:
            continue
        kind = _kind_of(hint)
        names = _names_of(name, info, (*declared, *(info.param_decls or ())), is_switch=not kind)
        yield CommandParameter(names, kind, '' if required else _typed(default), required,
                               info.help or '')


def _names_of(name: str, info: OptionInfo | ArgumentInfo, declared: tuple[str, ...], *,
              is_switch: bool) -> tuple[str, ...]:
    if isinstance(info, ArgumentInfo):
        return (name,)
    if declared:
        return tuple(part for names in declared for part in names.split('/')
                     if part.startswith('-'))
    option = name.replace('_', '-')
    return (f'--{option}', f'--no-{option}') if is_switch else (f'--{option}',)


def _kind_of(hint: Any) -> str:
    """Return what an option takes, '' if it takes nothing."""
    if get_origin(hint) in {Union, types.UnionType, list, tuple}:
        hint = next(part for part in get_args(hint) if part is not type(None))
        return _kind_of(hint)
    if issubclass(hint, Enum):
        return ', '.join(str(member.value) for member in hint)
    if hint is bool:
        return ''
    return {int: 'number', float: 'number', Path: 'path'}.get(hint, 'text')


def _typed(default: Any) -> str:
    """Return a default as it would be typed."""
    if default is None or isinstance(default, bool) or callable(default):
        return ''
    if isinstance(default, list | tuple):
        return ' '.join(_typed(item) for item in default)
    return str(default.value if isinstance(default, Enum) else default)
