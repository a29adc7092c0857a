# SPDX-License-Identifier: BSD-2-Clause
# One row from what several runs gave: $name $unit $values $peer $peers
# $method $goal; $of is median, or max for what must never happen.
def median: sort | if length == 0 then null
	elif length % 2 == 1 then .[(length - 1) / 2]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;
# Three significant digits are more than an emulated machine can promise.
def short: if . == null or . == 0 then . else
	pow(10; 2 - (fabs | log10 | floor)) as $p
	| if $p < 1 then round else . * $p | round / $p end end;
def goal: if $goal == "" then null else
	$goal | capture("^(?<op><=|>=) (?<limit>[0-9.]+)(?<of> of peer)?$")
	| .limit |= tonumber end;

if ($values | length) == 0 or
	($peer != "" and ($peers | length) != ($values | length)) then empty
else
	def middle: if $of == "max" then max else median end;
	($values | middle) as $value
	| (if $peer == "" then null else $peers | middle end) as $pv
	| (if $pv == null or $pv == 0 then null else $value / $pv end) as $ratio
	| goal as $g
	| (if $g == null then null
		elif $g.of != null then $ratio
		else $value end) as $got
	| {
		name: $name, unit: $unit, value: ($value | short),
		peer: (if $peer == "" then null else $peer end),
		peer_value: ($pv | short), ratio: ($ratio | short),
		runs: ($values | length), of: $of, method: $method,
		values: $values, peer_values: $peers,
		goal: (if $g == null then null else $goal end),
		met: (if $g == null then null
			elif $got == null then false
			elif $g.op == "<=" then $got <= $g.limit
			else $got >= $g.limit end)
	}
end
