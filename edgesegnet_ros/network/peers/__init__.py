"""Networks of other papers, beside which EdgeSegNet is measured; all of them can be trained.

Where a paper trains with auxiliary heads, the main head alone is trained here.
"""
