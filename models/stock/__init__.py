"""The stock suite: ten small convolutional and recurrent networks for the sessions of the coming week."""
