"""Machine-driven design exploration after the paper's section 2 (arXiv 1905.04222).

A generator gives networks for seeds; it is improved, from a prototype on, as long as the
performance U of its networks rises and they meet a requirement. `command` is the door; what is
tried lives in the optimiser's own storage, and all that is concluded is computed from it.
"""
