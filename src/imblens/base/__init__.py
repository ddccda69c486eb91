"""Base: small parts that every room may use, each in one module. It imports only `errors`."""
