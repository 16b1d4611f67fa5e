"""`edgesegnet doctor`: what is wrong with this machine, this installation or this graph.

`machine` and `installation` look at what is here, `graph` judges a snapshot that the executable
`graph_snapshot` of `node` takes, and `nav2_layer` holds the node's outputs against the
parameters of a costmap layer. Each gives `Finding`s; `command` prints them with their remedies.
"""
