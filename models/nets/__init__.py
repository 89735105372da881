"""What the networks have in common: how a question is framed, scaled and answered."""
