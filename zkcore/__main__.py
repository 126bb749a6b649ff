"""python -m zkcore"""

from zkcore.cli import main

if __name__ == "__main__":
    main()
