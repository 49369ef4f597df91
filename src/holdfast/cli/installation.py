"""The command about this installation."""

from __future__ import annotations

from holdfast.cli.app import app
from holdfast.terminal import AsJson, as_one_line


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what this installation has and can do, and what makes it slow.

    [bold]Examples[/bold]

        holdfast doctor

        holdfast doctor --json
    """
    from holdfast.doctor import diagnose

    diagnosis = diagnose()
    print(as_one_line(diagnosis.as_dict()) if as_json else diagnosis)
