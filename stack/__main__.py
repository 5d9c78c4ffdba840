"""Check a stack file, look at what it means and at what an edit would do; write what is generated from it."""

import argparse
import os
import sys
from collections.abc import Sequence

from kube.errors import StackError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    validate = commands.add_parser("validate", help="every problem of stack files at once; exit 1 if there is any")
    validate.add_argument("stacks", nargs="*", metavar="stack|file", help="default: every Pulumi.<stack>.yaml here")

    explain = commands.add_parser("explain", help="why each number is what it is, and what an edit would do")
    explain.add_argument("stack", metavar="stack|file")
    explain.add_argument(
        "--against", metavar="revision|file", help="what restarts, changes, is replaced, coming from that version"
    )

    schema = commands.add_parser("schema", help="JSON schema of the stack file, for editors and CI")
    schema.add_argument("--write", action="store_true", help="write stack/schema.json instead of printing")

    images = commands.add_parser("images", help="every image and chart, for a mirror: kind, source, target")
    images.add_argument("stack", nargs="?", metavar="stack|file", help="whose registry setting and overrides count")
    images.add_argument("--format", choices=("text", "json"), default="text")

    docs = commands.add_parser("docs", help="write the generated tables and pictures of README.md and docs/")
    docs.add_argument("--check", action="store_true", help="write nothing; exit 1 and name what is out of date")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    # Imported when asked for: recording a program for --against loads Pulumi, and nothing else here does.
    match arguments.command:
        case "validate":
            from stack.commands.validate import validate

            return validate(arguments.stacks)
        case "explain" if arguments.against:
            from stack.commands.against import against

            return against(arguments.stack, arguments.against)
        case "explain":
            from stack.commands.explain import explain

            return explain(arguments.stack)
        case "schema":
            from stack.commands.schema import schema

            return schema(write=arguments.write)
        case "images":
            from stack.commands.images import images

            return images(arguments.stack, as_json=arguments.format == "json")
        case _:
            from stack.commands.docs import docs

            return docs(check=arguments.check)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 well, 1 the stack has problems, 2 the command line is wrong."""
    parsed = _parser().parse_args(arguments)
    try:
        code = _run(parsed)
        sys.stdout.flush()
        return code
    except StackError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        return 1
    except BrokenPipeError:
        # `… | head` has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
