"""`python -m grader`."""

from grader.command_line import main

raise SystemExit(main())
