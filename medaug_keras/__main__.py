"""`python -m medaug_keras`."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory, where a random.py of the user's would be taken for Python's own

    import signal

    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so in the background
    if listens:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun yet: end, without a traceback
    try:
        from medaug_keras.cli import main
    except (ImportError, MemoryError) as error:
        sys.exit(f"medaug-keras cannot start: {type(error).__name__}: {error}")
    if listens:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
