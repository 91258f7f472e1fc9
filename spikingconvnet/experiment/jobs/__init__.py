"""Jobs for a board that is elsewhere: what is sent, what happens there, and what comes back."""
