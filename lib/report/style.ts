/** Colours by role; a reader who prefers dark gets the same page in dark. On paper everything is open, and nothing is cut off. */
export const style = `
:root { --page: #fbfaf8; --card: #fff; --ink: #1d2733; --soft: #5d6875; --line: #d9dde2; --bar: #3d6fb4; --down: #f3c9c2; --good: #1f7a4d; --bad: #b3261e; --open: #8a5a00 }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --card: #1c2229; --ink: #e6e9ed; --soft: #9aa5b1; --line: #343c46; --bar: #6fa3ea; --down: #57302c; --good: #63c995; --bad: #ff8a80; --open: #e5b04c } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .2rem 0 .6rem } h2 { font-size: 1.25rem; margin: 2.5rem 0 .8rem } h3 { font-size: 1rem; margin: 1.2rem 0 .4rem } h4 { font-size: .95rem; margin: 1rem 0 .3rem }
.eyebrow, .when, .key { color: var(--soft); font-size: .875rem } .when { font-weight: normal; font-variant-numeric: tabular-nums }
.outcome { font-size: 1rem; font-weight: 600; border: 1px solid; border-radius: 1rem; padding: .15rem .7rem; vertical-align: middle; white-space: nowrap }
.good { color: var(--good) } .bad { color: var(--bad) } .open { color: var(--open) } .changed { color: var(--open) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1.2rem 0 0 }
.tiles div, details, .scroll { background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
.tiles div { padding: .6rem .8rem } dt { color: var(--soft); font-size: .8rem } dd { margin: 0; font-size: 1.1rem; font-weight: 600 }
details { margin: .4rem 0; padding: .5rem .8rem } summary { cursor: pointer } details .scroll { margin-top: .6rem }
.attempt summary { display: grid; grid-template-columns: 1rem 7rem 12rem 1fr; gap: .5rem; align-items: center; list-style: none }
.attempt summary::-webkit-details-marker { display: none } .attempt summary::before { content: '▸'; color: var(--soft) } .attempt[open] summary::before { content: '▾' }
.lane { position: relative; display: block; height: 1rem; background: color-mix(in srgb, var(--line) 40%, transparent); border-radius: .25rem; overflow: hidden }
.lane i { position: absolute; top: 0; bottom: 0 } .bar { background: var(--bar); border-radius: .2rem } .bar.failed, .bar.interrupted, .bar.unfinished { background: var(--bad) }
.down { background: var(--down) } .key .down { display: inline-block; width: 1rem; height: .8rem; border-radius: .2rem }
ol { padding-left: 0; list-style: none } ol > li { margin: .4rem 0 } li .lane { height: .35rem; margin-bottom: .15rem } .waits { margin: .1rem 0 0; padding-left: 1.2rem; color: var(--soft); font-size: .85rem }
.message { color: var(--bad); white-space: pre-wrap }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .875rem } th, td { text-align: left; vertical-align: top; padding: .4rem .7rem; border-bottom: 1px solid var(--line) } tbody tr:last-child td { border-bottom: 0 } th { color: var(--soft); font-weight: 600; white-space: nowrap } td:first-child { min-width: 8rem }
@media (max-width: 40rem) { h1 { font-size: 1.5rem } .attempt summary { grid-template-columns: 1rem 1fr auto } .attempt summary .lane { grid-column: 1 / -1 } td, th { padding: .35rem .5rem } td { min-width: 7rem } }
@media print { :root { --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --bar: #3d6fb4; --down: #f3c9c2; --good: #1f7a4d; --bad: #b3261e; --open: #8a5a00 } body { font-size: 10pt } main { max-width: none; padding: 0 } details::details-content { content-visibility: visible; block-size: auto } .attempt summary::before { content: none !important } .scroll { overflow: visible } tr, .tiles div { break-inside: avoid } .bar, .down { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
`
