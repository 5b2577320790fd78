// How the dashboard looks: a sheet made by script, which every content security policy allows.

export const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host {
  --_accent: var(--loyalty-accent, light-dark(#0b5f5a, #6fd0c5));
  --_accent-text: var(--loyalty-accent-text, light-dark(#ffffff, #06211f));
  --_accent-soft: var(--loyalty-accent-soft, color-mix(in oklab, var(--_accent) 13%, var(--_surface)));
  --_surface: var(--loyalty-surface, light-dark(#ffffff, #1a201e));
  --_raised: var(--loyalty-raised, light-dark(#f0f1ee, #232a28));
  --_text: var(--loyalty-text, light-dark(#1b1f1e, #e9eeec));
  --_muted: var(--loyalty-muted, light-dark(#57605d, #a5b0ac));
  --_line: var(--loyalty-line, light-dark(#d9dcd8, #343d3a));
  --_control: var(--loyalty-control, light-dark(#838d89, #7d8985));
  --_warn: var(--loyalty-warn, light-dark(#7a4d00, #f1c26b));
  --_warn-soft: var(--loyalty-warn-soft, light-dark(#fdf1da, #352810));
  --_focus: var(--loyalty-focus, light-dark(#1259c3, #8ab8ff));
  --_radius: var(--loyalty-radius, 12px);
  --_space: var(--loyalty-space, 1rem);
  display: block; container-type: inline-size; min-width: 0;
  color: var(--_text); font: var(--loyalty-font, 400 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif);
  font-variant-numeric: tabular-nums; text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
*, *::before { box-sizing: border-box; }
p, h2, fieldset, legend { margin: 0; padding: 0; border: 0; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.all { display: grid; column-gap: calc(1.25 * var(--_space)); grid-template-columns: minmax(0, 1fr); grid-template-areas: "own" "news" "board" "more"; }
.own { grid-area: own; }
.news { grid-area: news; }
.board { grid-area: board; padding-bottom: 0.5rem; }
.more { grid-area: more; }
.news, .board, .more { margin-top: var(--_space); }
slot { display: block; }
slot:not(.filled) { display: none; }
.card { background: var(--_surface); border: 1px solid var(--_line); border-radius: var(--_radius); padding: calc(1.25 * var(--_space)); min-width: 0; }
.label { color: var(--_muted); font-size: 0.9375em; }
.figures { display: flex; flex-wrap: wrap; gap: calc(0.75 * var(--_space)) calc(1.75 * var(--_space)); }
.figure { font-size: 2.75em; font-weight: 700; line-height: 1.1; letter-spacing: -0.02em; white-space: nowrap; }
.next { margin-top: var(--_space); padding: 0.625em 0.875em; border-radius: calc(0.66 * var(--_radius)); background: var(--_accent-soft); font-weight: 600; }
.next::before { content: "\\2191" / ""; margin-inline-end: 0.5em; color: var(--_accent); font-weight: 700; }
.next.first::before { content: "\\2605" / ""; }
.title { font-weight: 700; font-size: 1.125em; line-height: 1.3; }
.message > * + * { margin-top: 0.5em; }
.status { display: flex; align-items: baseline; gap: 0.5em; width: fit-content; margin-bottom: calc(0.75 * var(--_space)); padding: 0.125em 0.75em; border-radius: 0.875em; background: var(--_accent-soft); font-size: 0.875em; }
.status::before { content: ""; flex: none; width: 0.5em; height: 0.5em; border-radius: 50%; background: var(--_accent); transform: translateY(-0.1em); }
.status.warn { background: var(--_warn-soft); }
.status.warn::before { background: none; border: 0.125em solid var(--_warn); }
.head { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.5rem 1rem; margin-bottom: 0.5rem; }
fieldset { display: inline-flex; padding: 2px; border-radius: calc(0.75 * var(--_radius)); background: var(--_raised); min-width: 0; }
fieldset label { position: relative; cursor: pointer; }
input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
fieldset .of { align-self: center; padding: 0 0.375em 0 0.75em; font-size: 0.875em; color: var(--_muted); }
label span { display: block; min-width: 2.5em; padding: 0.375em 0.375em; text-align: center; border: 1px solid transparent; border-radius: calc(0.75 * var(--_radius) - 2px); font-size: 0.9375em; line-height: 1.3; font-weight: 600; color: var(--_muted); white-space: nowrap; }
fieldset label:hover span { color: var(--_text); }
input:checked + span { background: var(--_surface); border-color: var(--_control); color: var(--_accent); }
input:focus-visible + span, button:focus-visible { outline: 3px solid var(--_focus); outline-offset: 2px; }
button { min-height: 2.5rem; padding: 0.4375rem 1rem; font: inherit; font-weight: 600; cursor: pointer; color: var(--_accent-text); background: var(--_accent); border: 1px solid transparent; border-radius: calc(0.66 * var(--_radius)); }
table { width: 100%; border-collapse: separate; border-spacing: 0; }
dl, dd { margin: 0; }
th, td { padding: 0.5625em 0.5em; text-align: start; font-weight: 400; border-bottom: 1px solid var(--_line); overflow-wrap: break-word; }
thead th { color: var(--_muted); font-size: 0.875em; font-weight: 600; }
tbody tr { position: relative; background: var(--_surface); }
tbody tr:last-child > * { border-bottom-color: transparent; }
.rank { width: 1%; white-space: nowrap; text-align: end; padding-inline-end: 0.875em; color: var(--_muted); }
tbody .rank { font-weight: 600; }
.points { width: 1%; white-space: nowrap; text-align: end; font-weight: 600; }
thead .points { font-weight: 600; }
.digits { color: var(--_muted); }
tr.best .rank { color: var(--_accent); font-weight: 700; }
.self { z-index: 1; }
tbody tr.self { background: var(--_accent-soft); box-shadow: inset 4px 0 var(--_accent); }
.self .name { font-weight: 700; }
.self .rank, .self .digits { color: var(--_text); }
.badge { display: inline-block; margin-inline-end: 0.25em; padding: 0 0.5em; border-radius: 999px; background: var(--_accent); color: var(--_accent-text); font-size: 0.8125em; font-weight: 700; line-height: 1.5; }
.gap td { text-align: center; color: var(--_muted); font-size: 0.875em; padding-block: 0.375em; background: var(--_surface); }
.bone { height: 1em; border-radius: 6px; background: var(--_raised); }
.bones > * + * { margin-top: 1.25em; }
.bones .bone:nth-child(even) { width: 72%; }
.loading .bone { animation: breathe 1.6s ease-in-out infinite alternate; }
@keyframes breathe { from { opacity: 1; } to { opacity: 0.45; } }
@container (max-width: 30rem) {
  .card { padding: var(--_space); }
  .figure { font-size: 2.25em; }
  th, td { padding-inline: 0.375em; }
  /* Large numbers leave a narrow row no room for the name beside them. */
  .long thead tr, .long tbody tr:not(.gap) { display: grid; grid-template-columns: auto 1fr; }
  .long tbody tr:not(.gap) { border-bottom: 1px solid var(--_line); padding-block: 0.5em; }
  .long th, .long tr:not(.gap) td { width: auto; padding-block: 0; border-bottom: 0; }
  .long thead th { padding-bottom: 0.5em; }
  .long tbody tr:last-child { border-bottom-color: transparent; }
  .long .rank { text-align: start; }
  .long thead .name { display: none; }
  .long tbody .name { grid-column: 1 / -1; grid-row: 2; }
  .long tr.gap, .long .gap td { display: block; }
}
@container (min-width: 54rem) {
  .all:not(.alone) { grid-template-columns: minmax(18rem, 2fr) 3fr; grid-template-rows: auto auto 1fr; grid-template-areas: "own board" "news board" "more board"; align-items: start; }
  .news, .more { margin-top: calc(1.25 * var(--_space)); }
  .card { padding: calc(1.5 * var(--_space)); }
  .board { margin-top: 0; padding-bottom: var(--_space); }
}
@media (prefers-reduced-motion: reduce) { .loading .bone { animation: none; } }
@media (forced-colors: active) { tbody tr.self { outline: 2px solid Highlight; outline-offset: -2px; } .status::before { background: CanvasText; } fieldset label:has(:checked) { outline: 2px solid Highlight; } }
`);
