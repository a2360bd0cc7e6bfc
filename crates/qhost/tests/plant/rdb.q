/ The day's rows in memory: what the log holds already, then what comes.
/ qmesh q rdb.q TICKERPLANT HDBDIR HDBPORT -p PORT
upd:insert
hdbdir:hsym `$.z.x 1
hdb:`$"::",.z.x 2
.u.end:{[day]
  .Q.hdpf[hdb;hdbdir;day;`sym];
  {update `g#sym from x} each tables `.;}
tp:hopen `$"::",.z.x 0
(schemas;position):tp "(.u.sub[`;`];(.u.i;.u.L))"
{x[0] set x 1} each schemas
-11!position
