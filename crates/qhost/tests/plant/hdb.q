/ The days before.
/ qmesh q hdb.q HDBDIR -p PORT
if[count key hsym `$.z.x 0; system "l ",.z.x 0]
if[not count key hsym `$.z.x 0; system "cd ",.z.x 0]
