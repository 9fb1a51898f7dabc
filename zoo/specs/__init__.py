"""The language: what a user can declare. Pydantic only; never imports torch."""
