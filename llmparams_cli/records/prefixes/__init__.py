"""The prefix cache: what models computed of long prompts, kept on disk from one run to the next.

segment     a file: the state of one block of a prompt, and all tokens up to its end
store       the folder of such files: found by tokens, bounded, listed, cleared
"""
