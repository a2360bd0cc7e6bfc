/ The tables of the plant.
trade:([]time:`timespan$();sym:`symbol$();price:`float$();size:`long$())
quote:([]time:`timespan$();sym:`symbol$();bid:`float$();ask:`float$())
