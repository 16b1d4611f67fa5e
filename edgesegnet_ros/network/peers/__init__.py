"""Networks of other papers, with which EdgeSegNet is compared; all of them can be trained.

If a paper trains with auxiliary heads, only the main head is trained here.
"""
