"""A lattice of 10 by 10 nodes that do nothing, each waiting for the one above it and the one to its left.

Shows a graph that is made by a program, and what the engine itself costs: 100 nodes, 81 joins, no work. The diagonals
run in parallel, and the two branches that meet at a node are of different length more often than not.
"""

from graphwire import Graph

SIZE = 10

graph = Graph("lattice", name="Lattice", description="10 by 10 nodes that do nothing: what the engine itself costs.")

for row in range(SIZE):
    for column in range(SIZE):
        graph.node(f"r{row}c{column}", "transform")
        if row:
            graph.edge(f"r{row - 1}c{column}", f"r{row}c{column}")
        if column:
            graph.edge(f"r{row}c{column - 1}", f"r{row}c{column}")
