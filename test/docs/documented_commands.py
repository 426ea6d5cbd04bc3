"""The commands of the documents: which blocks there are, and what is wrong with a command.

A block of `sh` has a tag on the line before it: `<!-- ci -->` is run by the tests, `<!-- long -->`
takes long or needs a network, `<!-- hardware -->` a camera, a GPU or an installed ROS. The latter
two are parsed: their commands, options, files, topics and parameters must exist.
"""

import ast
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from pose_estimation_ros.backends.registry import backend_names
from pose_estimation_ros.cli.command_reference import commands_of
from pose_estimation_ros.cli.main import app
from pose_estimation_ros.cli.parameters import NodeName, specs_of
from pose_estimation_ros.nodes.interface import NODE_TOPICS, Direction
from pose_estimation_ros.training.registry import NETWORKS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = 'pose_estimation_ros'
TAGS = ('ci', 'long', 'hardware')
DOCUMENTS = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md',
             *(path for path in sorted((ROOT / 'docs').glob('*.md'))
               if not path.stem.endswith('_template'))]

# Stands for `<something>` in a command: any value.
ANY = 'ANYTHING'
# Programs of others, whose options are not ours to check.
FOREIGN = {'git', 'rosdep', 'colcon', 'source', 'export', 'pip', 'sudo', 'dask', 'torchrun',
           'fastdds', 'cd', 'cat', 'scp', 'apt', 'chrony', 'mcap', 'docker', 'xdg-open', 'dot',
           'for', 'done', 'grep', 'head', 'ls', 'cp', 'mkdir', 'echo'}
# The backend of docs/adding_a_backend.md.
PLUGIN = 'centroid'
# Arguments of drivers, which our launch files hand on.
OF_DRIVERS = {'serial_no'}
TRANSITIONS = {'configure', 'activate', 'deactivate', 'cleanup', 'shutdown'}
# Parameters that every node has.
EVERY_NODE = {'use_sim_time'}
# Topics of camera drivers, of TF and of the middleware in examples.
OTHER_TOPICS = ('/camera', '/left/camera', '/right/camera', '/my_camera', '/rgb', '/depth_to_rgb',
                '/tf_static', '/clock')


class Incomplete(str):
    """A fault: something is missing."""


@dataclass(frozen=True)
class Block:
    """A block of commands in a document."""

    path: Path
    line: int
    tag: str | None
    text: str

    def __str__(self):
        return f'{self.path.name}:{self.line}'


def blocks_of(path):
    """Return the blocks of commands of a document."""
    found, lines = [], path.read_text('utf-8').splitlines()
    number = 0
    while number < len(lines):
        if not re.match(r'\s*```(sh|bash|shell|console)\b', lines[number]):
            number += 1
            continue
        before = next((line for line in reversed(lines[:number]) if line.strip()), '')
        tag = re.fullmatch(r'\s*<!-- (\w+) -->', before)
        end = next(index for index in range(number + 1, len(lines))
                   if lines[index].strip() == '```')
        found.append(Block(path, number + 1, tag[1] if tag else None,
                           '\n'.join(lines[number + 1:end])))
        number = end + 1
    return found


def inline_commands_of(path):
    """Return the commands in running text, such as `make demo`, that are whole ones."""
    text = re.sub(r'(?ms)^\s*```.*?^\s*```', '', path.read_text('utf-8'))
    starts = rf'(?:pose-estimation [a-z]|make [a-z]|ros2 (?:launch|run) {PACKAGE} |ros2 param )'
    return [' '.join(found.split()) for found in re.findall(rf'(?<!`)`({starts}[^`]*)`(?!`)', text)
            if '...' not in found and '[' not in found]


def commands_in(text):
    """Return the commands of a block, each as a list of words."""
    text = re.sub(r'<[^<>\n]+>', ANY, text.replace('\\\n', ' '))
    text = re.sub(r'(?m)^\w+=\$\([^)]*\)\S*', '', text)
    found = []
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=';|&')
        lexer.whitespace_split = True
        command = []
        for word in [*lexer, ';']:
            if set(word) <= set(';|&'):
                if command:
                    found.append(command)
                command = []
            elif command or not re.fullmatch(r'[A-Za-z_]\w*=.*|do|then', word):
                command.append(word)
    return found


def fault_of(words, *, is_whole=True):
    """Return what is wrong with a command, None if nothing is.

    Args:
        words: Of the command.
        is_whole: It can be given as it is; otherwise what is required may be left out.
    """
    program, *rest = words
    if program.endswith('/pose-estimation'):
        program = 'pose-estimation'
    if program == 'ros2' and rest[:3] == ['run', PACKAGE, 'pose-estimation']:
        program, rest = 'pose-estimation', rest[3:]
    if program in ('python', 'python3', '.venv/bin/python'):
        return _fault_of_python(rest)
    checks = {'pose-estimation': _fault_of_ours, 'make': _fault_of_make, 'ros2': _fault_of_ros2}
    if program in checks:
        fault = checks[program](rest)
        return None if isinstance(fault, Incomplete) and not is_whole else fault
    if '/' in program or program in FOREIGN or '=' in program:
        return None
    return f'{program} is no program that these pages know'


@cache
def our_commands():
    """Return {path: command} of our command line."""
    return {entry.path: entry for entry in commands_of(app)}


def _fault_of_ours(words):
    entries = our_commands()
    if not words or words[0] in ('--help', '--install-completion', '--show-completion'):
        return None
    entry = next((entries[tuple(words[:count])] for count in (2, 1)
                  if tuple(words[:count]) in entries), None)
    if entry is None:
        groups = {path[0] for path in entries if len(path) > 1}
        if words[1:2] in ([], ['--help']) and words[0] in groups:
            return None
        return f'there is no command {" ".join(words[:2])}'
    own, _, others = _split(words[len(entry.path):], '--')
    given, positional, position = set(), [], 0
    while position < len(own):
        word = own[position]
        position += 1
        if not word.startswith('-') or word == ANY:
            positional.append(word)
            continue
        name, has_value, value = word.partition('=')
        if name == '--help':
            return None
        option = entry.option(name)
        if option is None:
            return f'{" ".join(entry.path)} has no option {name}'
        given.add(option)
        if option.kind and not has_value:
            value = own[position] if position < len(own) else ''
            position += 1
        if fault := _fault_of_value(option, value):
            return fault
    missing = [item.names[0] for item in entry.parameters
               if item.is_option and item.required and item not in given]
    required = sum(item.required for item in entry.parameters if not item.is_option)
    if missing or len(positional) < required:
        return Incomplete(
            f'{" ".join(entry.path)} needs {", ".join(missing) or "an argument"}')
    if entry.path in (('train',), ('export',)) and positional[:1] and (
            positional[0] not in {*NETWORKS, ANY} and '$' not in positional[0]):
        return f'{positional[0]} is no network'
    return _fault_of_benchmark(positional, others) if entry.path == ('benchmark',) else None


def _fault_of_value(option, value):
    if not option.kind or value == ANY or '$' in value:
        return None
    if not value:
        return f'{option.names[0]} needs a value'
    choices = option.kind.split(', ') if ',' in option.kind else ()
    if option.names[0] == '--backend':
        choices = (*backend_names(), PLUGIN)
    if choices and value not in choices:
        return f'{option.names[0]} is {value}; it is one of {", ".join(choices)}'
    if option.kind == 'number' and not re.fullmatch(r'-?[\d.]+(e-?\d+)?', value):
        return f'{option.names[0]} is {value}; it is a number'
    return None


def _fault_of_benchmark(positional, options):
    if not positional:
        return None
    script = ROOT / 'benchmarks' / f'{positional[0]}.py'
    if not script.exists():
        return f'there is no benchmark {positional[0]}'
    # Options may be declared by a module that the script imports.
    near = [script, *(ROOT / 'benchmarks').glob('*.py'),
            *(ROOT / PACKAGE / 'evaluation').glob('*.py')]
    return next((f'{script.name} has no option {word}' for word in options
                 if word.startswith('--') and word != '--help' and not any(
                     f"'{word}'" in path.read_text() for path in near)), None)


def _fault_of_make(words):
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'^([a-z][\w-]*):', makefile, re.MULTILINE))
    for word in words:
        name, is_variable, _ = word.partition('=')
        if is_variable and not re.search(rf'\b{name}\b', makefile):
            return f'the Makefile has no variable {name}'
        if not is_variable and name not in targets:
            return f'the Makefile has no target {name}'
    return None


def _fault_of_python(words):
    if words[:1] == ['-m']:
        if not words[1].startswith(PACKAGE):
            return None
        path = ROOT / (words[1].replace('.', '/') + '.py')
    elif words[:1] == ['-c'] or not words:
        return None
    else:
        path = ROOT / words[0]
    return None if path.exists() or ANY in words[0] else f'there is no {path}'


def _fault_of_ros2(words):
    verb, *rest = words
    if verb == 'launch' and rest[0] == PACKAGE:
        return _fault_of_launch(*rest[1:])
    if verb == 'run' and rest[0] == PACKAGE:
        return _fault_of_run(*rest[1:])
    checks = {'param': _fault_of_param, 'topic': _fault_of_topic, 'service': _fault_of_service,
              'lifecycle': _fault_of_lifecycle}
    return checks[verb](*rest) if verb in checks else None


def _fault_of_launch(file, *arguments):
    if file == ANY:
        return None
    path = ROOT / 'launch' / file
    if not path.exists():
        return f'there is no launch file {file}'
    known = launch_arguments(path) | dict.fromkeys(OF_DRIVERS, ())
    for argument in arguments:
        if argument in ('--show-args', '-s'):
            continue
        name, is_assignment, value = argument.partition(':=')
        if not is_assignment or name not in known:
            return f'{file} has no argument {argument}'
        choices = known[name]
        if choices and value not in choices:
            return f'{name} is {value}; it is one of {", ".join(choices)}'
        if name == 'backend' and value not in (*backend_names(), PLUGIN):
            return f'there is no backend {value}'
    return None


@cache
def launch_arguments(path):
    """Return {name: choices} of a launch file's arguments and those of the core."""
    tree = ast.parse(path.read_text())
    core = ast.parse((ROOT / 'launch' / 'pose_estimation.launch.py').read_text())
    constants = {node.targets[0].id: node.value for node in core.body
                 if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}
    switch = ast.literal_eval(constants['SWITCH'])
    found = {}
    for row in constants['ARGUMENTS'].elts:
        choices = row.elts[3]
        found[row.elts[0].value] = switch if isinstance(choices, ast.Name) else [
            part for item in getattr(choices, 'elts', [])
            for part in (switch if isinstance(item, ast.Starred) else [item.value])]
    for call in ast.walk(tree):
        if (isinstance(call, ast.Call) and getattr(call.func, 'id', '') == 'DeclareLaunchArgument'
                and isinstance(call.args[0], ast.Constant)):
            choices = next((item.value for item in call.keywords if item.arg == 'choices'), None)
            found[call.args[0].value] = (ast.literal_eval(choices)
                                         if isinstance(choices, ast.List) else [])
    return found


def _fault_of_run(executable, *arguments):
    script = (ROOT / 'setup.py').read_text()
    if executable != ANY and f"'{executable} = " not in script.replace("f'", "'"):
        return f'there is no executable {executable}'
    nodes = {node.value: node for node in NodeName}
    for word in arguments:
        name, is_assignment, value = word.partition(':=')
        if is_assignment and executable in nodes and not name.startswith(('__', '/')):
            fault = _fault_of_parameter(nodes[executable], name, value)
            if fault and name not in {topic.name for topic in NODE_TOPICS[executable]}:
                return fault
    return None


def _node_named(name):
    return next((node for node in NodeName if node.value == name.rpartition('/')[2]), None)


def _fault_of_parameter(node, name, value=None):
    if name in EVERY_NODE or name.startswith('qos_overrides') or ANY in name:
        return None
    spec = next((spec for spec in specs_of(node) if spec.name == name), None)
    if spec is None:
        return f'{node.value} has no parameter {name}'
    if value is None or ANY in value or '$' in value:
        return None
    if name == 'backend':
        return None if value in backend_names() else f'there is no backend {value}'
    typed = value if isinstance(spec.default, str) else yaml.safe_load(value)
    if isinstance(spec.default, float) and isinstance(typed, int):
        typed = float(typed)
    if not isinstance(typed, type(spec.default)):
        return f'{name} is {value!r}; it is a {type(spec.default).__name__}'
    return spec.problem(typed)


def _fault_of_param(verb, node='', name='', value=None, *_):
    ours = _node_named(node)
    return _fault_of_parameter(ours, name, value) if ours and verb in ('set', 'get') else None


def _fault_of_topic(verb, *words):
    known = {topic.name.lstrip('/') for topics in NODE_TOPICS.values() for topic in topics
             if topic.direction is not Direction.SERVICE}
    for word in words:
        if not word.startswith('/') or word.startswith(OTHER_TOPICS):
            continue
        labels = [name.partition('<')[0] for name in known if '<' in name]
        # In a namespace, or not.
        endings = [word.lstrip('/').split('/', count)[-1] for count in range(3)]
        if not any(end in known or end.startswith(tuple(labels)) for end in endings):
            return f'no node of ours has a topic {word}'
    return None


def _fault_of_service(verb, *words):
    if verb != 'call':
        return None
    name, kind = words[0], words[1] if len(words) > 1 else ''
    node, _, service = name.rpartition('/')
    ours = _node_named(node)
    if ours is None:
        return f'no node of ours has a service {name}'
    topic = next((topic for topic in NODE_TOPICS[ours.value] if topic.name == f'~/{service}'
                  and topic.direction is Direction.SERVICE), None)
    if topic is None:
        return f'{ours.value} has no service ~/{service}'
    return None if kind == topic.type else f'~/{service} is of {topic.type}'


def _fault_of_lifecycle(verb, node='', transition='', *_):
    if verb == 'set' and transition not in TRANSITIONS:
        return f'{transition} is no transition'
    return None if _node_named(node) or not node else f'{node} is no node of ours'


def _split(words, mark):
    """Return the words before and after a mark."""
    if mark not in words:
        return words, '', []
    place = words.index(mark)
    return words[:place], mark, words[place + 1:]
