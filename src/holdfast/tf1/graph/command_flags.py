"""``tf.flags`` and ``tf.app.run``: a program's own arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from holdfast.errors import OptionError, did_you_mean
from holdfast.tf1.graph.names import public, publish

_TRUE, _FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")


class Flag:
    """A flag of a program; it is written as its value.

    Attributes:
        name: Its name.
        value: Its value now.
        default: Its value without an argument.
        help: What it is for.
    """

    def __init__(self, name: str, default: Any, help_: str, parse: Callable[[str], Any], boolean: bool = False) -> None:
        self.name, self.value, self.default, self.help = name, default, default, help_
        self.parse, self.boolean, self.required = parse, boolean, False

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, form: str) -> str:
        return format(self.value, form)

    def __repr__(self) -> str:
        return f"<flag {self.name}={self.value!r}>"

    def __lt__(self, other: Flag) -> bool:
        return self.name < other.name


class FlagValues:
    """The flags of a program, as attributes. The arguments are read when a flag is first asked for.

    Arguments that are no flags are left to the program.
    """

    def __init__(self) -> None:
        self.__dict__.update(_defined={}, _parsed=False, _others=[])

    def __call__(self, argv: Sequence[str] | None = None, known_only: bool = True) -> list[str]:
        """Reads arguments, the first of which is the program, and returns it with those that are no flags.

        Raises:
            OptionError: A value does not fit its flag, or a flag that is required is missing.
        """
        given = list(sys.argv if argv is None else argv)
        self.__dict__["_parsed"] = True
        self.__dict__["_others"] = given[:1] + self._read(given[1:])
        missing = [f"--{flag.name}" for flag in self._defined.values() if flag.required and flag.value is None]
        if missing:
            raise OptionError(f"The program needs {', '.join(missing)}; expected a value, as in {missing[0]}=VALUE.")
        return list(self._others)

    def _read(self, arguments: list[str]) -> list[str]:
        others: list[str] = []
        while arguments:
            argument = arguments.pop(0)
            if argument == "--":
                return others + arguments
            name, equals, text = argument.lstrip("-").partition("=")
            if name in ("help", "helpfull", "h") and argument.startswith("-") and name not in self._defined:
                print(self.get_help())
                sys.exit(0)
            flag = self._defined.get(name) if argument.startswith("-") else None
            negated = self._defined.get(name.removeprefix("no")) if argument.startswith(("-no", "--no")) else None
            if flag is None and negated is not None and negated.boolean and not equals:
                negated.value = False
            elif flag is None:
                others.append(argument)
            elif equals:
                _set(flag, text)
            elif flag.boolean:
                follows = arguments and arguments[0].lower() in (*_TRUE, *_FALSE)
                _set(flag, arguments.pop(0) if follows else "true")
            elif arguments:
                _set(flag, arguments.pop(0))
            else:
                raise OptionError(f"--{name} has no value; expected one: --{name}=VALUE.")
        return others

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if not self._parsed:
            self()
        if name in ("__flags", "_FlagValues__flags"):
            return self._defined
        if name not in self._defined:
            raise AttributeError(f"The program has no flag {name!r}; {did_you_mean(name, self._defined)}")
        return self._defined[name].value

    def __setattr__(self, name: str, value: Any) -> None:
        if not self._parsed:
            self()
        if name in self._defined:
            self._defined[name].value = value
        else:
            _define(name, value, "", str)

    def __delattr__(self, name: str) -> None:
        if name not in self._defined:
            raise AttributeError(f"The program has no flag {name!r}; {did_you_mean(name, self._defined)}")
        del self._defined[name]

    def __getitem__(self, name: str) -> Flag:
        if name not in self._defined:
            raise KeyError(name)
        flag: Flag = self._defined[name]
        return flag

    def __contains__(self, name: str) -> bool:
        return name in self._defined

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._defined))

    def __len__(self) -> int:
        return len(self._defined)

    def __dir__(self) -> list[str]:
        return sorted(self._defined)

    def _flags(self) -> dict[str, Flag]:
        found: dict[str, Flag] = self._defined
        return found

    def _parse_flags(self, args: Sequence[str] | None = None) -> list[str]:
        return self(None if args is None else [sys.argv[0], *args])

    def flag_values_dict(self) -> dict[str, Any]:
        """The values by their names."""
        if not self._parsed:
            self()
        return {name: flag.value for name, flag in self._defined.items()}

    def is_parsed(self) -> bool:
        """Whether the arguments have been read."""
        return bool(self._parsed)

    def mark_as_parsed(self) -> None:
        """Keeps the present values; the arguments are not read."""
        self.__dict__["_parsed"] = True

    def unparse_flags(self) -> None:
        """Has the arguments read again at the next use."""
        self.__dict__["_parsed"] = False

    def get_help(self) -> str:
        """All flags with their defaults and what they are for."""
        lines = [f"usage: {sys.argv[0]} [flags]", ""]
        lines += [f"  --{flag.name}={flag.default}  {flag.help}".rstrip() for flag in self._defined.values()]
        return "\n".join(lines)


FLAGS = FlagValues()
publish(FLAGS, "flags.FLAGS")
publish(FlagValues, "flags.FlagValues")


def _set(flag: Flag, text: str) -> None:
    try:
        flag.value = flag.parse(text)
    except ValueError as error:
        raise OptionError(f"--{flag.name} got {text!r}; expected {error}.") from None


def _define(name: str, default: Any, help_: str, parse: Callable[[str], Any], boolean: bool = False) -> None:
    FLAGS._defined[name] = Flag(name, default, help_, parse, boolean)
    if FLAGS._parsed:  # defined after the arguments were read
        kept = {each.name: each.value for each in FLAGS._defined.values() if each.name != name}
        FLAGS()
        for other, value in kept.items():
            FLAGS._defined[other].value = value


def _whole(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError("a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def _yes_or_no(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError("true or false")
    return text.lower() in _TRUE


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


@public("flags.DEFINE_string")
def DEFINE_string(flag_name: str, default_value: Any, docstring: str = "", **options: Any) -> None:
    """A flag that is a text."""
    _define(flag_name, default_value, docstring, str)


@public("flags.DEFINE_integer")
def DEFINE_integer(flag_name: str, default_value: Any, docstring: str = "", **options: Any) -> None:
    """A flag that is a whole number."""
    _define(flag_name, None if default_value is None else int(default_value), docstring, _whole)


@public("flags.DEFINE_float")
def DEFINE_float(flag_name: str, default_value: Any, docstring: str = "", **options: Any) -> None:
    """A flag that is a number."""
    _define(flag_name, None if default_value is None else float(default_value), docstring, _number)


@public("flags.DEFINE_boolean", "flags.DEFINE_bool")
def DEFINE_boolean(flag_name: str, default_value: Any, docstring: str = "", **options: Any) -> None:
    """A flag that is true or false: ``--name``, ``--noname`` or ``--name=false``."""
    value = _yes_or_no(default_value) if isinstance(default_value, str) else default_value
    _define(flag_name, value, docstring, _yes_or_no, boolean=True)


@public("flags.DEFINE_list", "flags.DEFINE_spaceseplist")
def DEFINE_list(flag_name: str, default_value: Any, docstring: str = "", **options: Any) -> None:
    """A flag that is a list of texts, separated by commas."""
    _define(flag_name, _list(default_value) if isinstance(default_value, str) else default_value, docstring, _list)


@public("flags.DEFINE_enum")
def DEFINE_enum(
    flag_name: str, default_value: Any, enum_values: Sequence[str], docstring: str = "", **options: Any
) -> None:
    """A flag that is one of some texts."""

    def parse(text: str) -> str:
        if text not in enum_values:
            raise ValueError(f"one of {', '.join(enum_values)}")
        return text

    _define(flag_name, default_value, docstring, parse)


@public("flags.mark_flag_as_required")
def mark_flag_as_required(flag_name: str, flag_values: Any = None) -> None:
    """Makes a missing flag an error when the arguments are read."""
    FLAGS[flag_name].required = True


@public("flags.mark_flags_as_required")
def mark_flags_as_required(flag_names: Sequence[str], flag_values: Any = None) -> None:
    """:func:`mark_flag_as_required` for several."""
    for name in flag_names:
        mark_flag_as_required(name)


@public("app.run")
def run(main: Any = None, argv: Sequence[str] | None = None) -> None:
    """Reads the flags, calls ``main`` with the other arguments, and ends the program with its result.

    Args:
        main: The function; None for ``main`` of the program.
        argv: The program and its arguments; None for those of this process.
    """
    others = FLAGS(argv)
    sys.exit((main or sys.modules["__main__"].main)(others))
