"""`python -m sandbox.simulated <kubeconfig> <credentials>`: run every simulated operator until ended."""

import sys
import time
import traceback
from pathlib import Path

from sandbox.api import Api, ApiError
from sandbox.simulated.addresses import Addresses
from sandbox.simulated.certificates import Certificates
from sandbox.simulated.postgres import Postgres

_INTERVAL = 1.0  # seconds between two looks; waits for operators are tens of seconds in a real cluster


def main() -> None:
    api = Api(Path(sys.argv[1]))
    keys = Path(sys.argv[2])
    operators = (Addresses(api), Certificates(api, keys), Postgres(api, keys))
    while True:
        for operator in operators:
            try:
                operator.look()
            except (ApiError, OSError) as error:
                print(f"{type(operator).__name__}: {error}", flush=True)
            except Exception:
                # One object that the simulation does not understand must not stop the others from getting ready.
                traceback.print_exc()
                sys.stderr.flush()
        time.sleep(_INTERVAL)


if __name__ == "__main__":
    main()
