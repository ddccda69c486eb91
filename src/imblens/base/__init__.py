"""The ground floor: small parts that every room may use, each at home in one module. It imports only `errors`."""
