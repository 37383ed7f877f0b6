"""The demo: a small Korean shop with customers in two languages, for trying everything without an account anywhere."""
