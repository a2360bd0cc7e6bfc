/ The smallest table of trades.
trade:([]time:`time$();sym:`symbol$();price:`float$();size:`int$())
`trade insert (09:30:00.000;`a;10.75;100i);
