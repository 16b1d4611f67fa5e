"""`edgesegnet doctor`: finds problems of this machine, this installation and the ROS graph.

`machine` and `installation` check this machine, `graph` checks a snapshot that the executable
`graph_snapshot` of `node` takes, and `nav2_layer` compares the outputs of the node with the
parameters of a costmap layer. Each yields `Finding`s; `command` prints them with their remedies.
"""
