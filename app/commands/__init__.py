"""One module per subcommand of `vmlab`; each has `add_parser(subparsers)` and `main(args) -> int`."""
