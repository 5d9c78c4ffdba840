"""`python -m sandbox.node up|down`: a cluster with a real node, by hand. Another sandbox than `make up`'s."""

import argparse
import sys

from sandbox import paths
from sandbox.errors import SandboxError
from sandbox.node import lifecycle


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.node", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    command = parser.parse_args().command
    state = paths.state("-node")
    try:
        if command == "down":
            print("the node is gone, its data are deleted" if lifecycle.down(state) else "no node was there")
        else:
            print(lifecycle.up(state).kubeconfig)
    except SandboxError as error:
        print(error.text(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
