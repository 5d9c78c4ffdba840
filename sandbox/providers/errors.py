"""What the stand-in providers say when they cannot do as asked."""


class ProviderError(Exception):
    """A refusal in words for the person who runs `pulumi`. Never holds the value of a secret."""
