# SPDX-License-Identifier: GPL-2.0-only
# Draws build/figures/bench.svg from the small tables that figures.py writes beside it: medians,
# with the least and the greatest where there is a bar.

set terminal svg size 1000,1800 noenhanced font "sans,13" background "white"
set output "../figures/bench.svg"
set multiplot layout 3,1
set grid
set logscale x
set key off
set lmargin 48
set yrange [] reverse
set offsets graph 0, graph 0, graph 0.05, graph 0.05

set title "Round trip of a message between two guests, µs"
plot "roundtrip.dat" using 2:0:3:4:yticlabels(1) with xerrorbars pt 7

set title "Mapping 1 GiB and touching every page once, ms"
plot "mapping.dat" using 2:0:3:4:yticlabels(1) with xerrorbars pt 7

set title "Stream from one guest to the other, MB/s, by bytes in a message"
set logscale xy
set yrange [*:*] noreverse
set lmargin 10
set ytics auto
set xtics (64, 1024, 4096, 65536, 1048576) format "%.0f"
set key outside below
set key autotitle columnheader
stats "stream.dat" nooutput
plot for [i = 2:STATS_columns] "stream.dat" using 1:i with linespoints
