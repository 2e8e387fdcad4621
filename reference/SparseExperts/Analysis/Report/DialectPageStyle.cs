namespace SparseExperts.Analysis;

/// <summary>What the page of the dialects adds to a report's style sheet, and its script.</summary>
static class DialectPageStyle
{
    public const string Css = """
        [hidden]{display:none!important}
        html{scroll-padding-top:96px}
        .bar{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;align-items:center;gap:8px 14px;margin:22px -20px 0;padding:12px 20px;
        background:var(--paper);border-bottom:1px solid var(--rule)}
        .bar input,.bar select{font:inherit;font-size:.9375rem;color:var(--ink);background:var(--wash);border:1px solid var(--rule);
        border-radius:6px;padding:7px 10px;min-width:0}
        .bar input{flex:1 1 260px}
        .bar :focus-visible,a:focus-visible,summary:focus-visible{outline:2px solid var(--s0);outline-offset:1px}
        .pair{display:flex;gap:8px;flex:0 1 auto;min-width:0}.pair select{max-width:190px;flex:1 1 0}
        a{color:var(--s0);text-decoration:none}a:hover{text-decoration:underline}
        #count:empty{display:none}
        .index{margin-top:20px}.index dl{display:grid;grid-template-columns:7.2em 1fr;gap:3px 10px;margin-top:8px;font-size:.875rem}
        .index dt{font-size:.875rem;line-height:inherit;font-weight:600;color:var(--ink)}
        .index dd a{display:inline-block;margin-right:10px}
        .rule{border-top:1px solid var(--grid);padding:18px 0 16px;content-visibility:auto;contain-intrinsic-size:auto 130px}
        h2+.rule{border-top:0}
        .rule h3 a,.rule h4 a,.rule h5{color:var(--ink)}
        .rule h3{font-size:1.05rem}.rule h4{font-size:.95rem;margin:0}
        .rule h5{font-size:.8125rem;margin:18px 0 2px;font-weight:600;text-transform:capitalize}
        .rule p{margin:.25em 0 .5em}
        .source{color:var(--muted);font-size:.875rem}
        .mark{font-size:.75rem;font-weight:500;border-radius:4px;padding:1px 6px;border:1px solid currentColor;white-space:nowrap;vertical-align:2px}
        .mark.recorded{color:var(--s2)}.mark.read{color:var(--s4)}.mark.paper,.mark.own{color:var(--s5)}
        .more,.config,.defaults{margin-top:6px}
        .more>summary,.config>summary,.defaults>summary{font-weight:400;font-size:.8125rem;color:var(--muted)}
        .alias{margin:14px 0 0;padding:2px 0 2px 16px;border-left:3px solid var(--rule)}
        .glance{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:8px 18px;margin:12px 0;font-size:.875rem}
        .glance dd{overflow-wrap:anywhere}
        .axes{table-layout:fixed}
        .axes th,.axes td{padding:4px 14px 4px 0;overflow-wrap:anywhere}
        .axes th{color:var(--muted);width:26%}.axes td:nth-child(2){width:24%}
        .axes b{font-weight:600}
        .was{color:var(--muted);font-size:.8125rem}
        cite{font-style:normal;color:var(--muted);font-size:.8125rem}cite::before{content:"· "}
        .fact{font-size:.9375rem;max-width:none}.fact b{display:inline-block;min-width:6.2em}
        .rule pre{font-size:.75rem;padding:12px 14px;overflow-x:auto;white-space:pre;overflow-wrap:normal}
        #compare{margin-top:18px;padding:4px 18px 16px;background:var(--wash);border-radius:8px;overflow-x:auto}
        #compare h2{border:0;margin:8px 0 6px;padding:0;overflow-wrap:anywhere}
        #compare th,#compare td{border-color:var(--rule)}
        #compare tbody td:nth-child(2),#compare td:nth-child(3){width:37%}
        #compare .small{margin-top:1px}
        :target>a{background:color-mix(in oklab,var(--s1) 22%,transparent)}
        @media (max-width:640px){html{scroll-padding-top:140px}.pair{flex:1 1 100%}.pair select{max-width:none}
        .axes,.axes tbody,.axes tr,.axes th,.axes td{display:block;width:auto!important}.axes thead{display:none}
        .axes tr{padding:6px 0;border-bottom:1px solid var(--grid)}.axes th,.axes td{border:0;padding:0}
        #compare tr{display:grid;grid-template-columns:1fr 1fr;padding:7px 0;border-bottom:1px solid var(--rule)}
        #compare th,#compare td{border:0;padding:0 8px 0 0;width:auto!important;overflow-wrap:anywhere}
        #compare tbody th{grid-column:1/3;padding-bottom:3px}#compare thead th:first-child{display:none}
        .index dl{grid-template-columns:5.6em 1fr}}
        @media print{.bar,.index{display:none}}

        """;

    /// <summary>Without a less-than sign or an ampersand, so that the page is well-formed as XML too.</summary>
    public const string Script = """
        'use strict';
        const data = JSON.parse(document.getElementById('data').textContent);
        const byId = id => document.getElementById(id);
        const make = (tag, text, name) => { const e = document.createElement(tag); if (text) e.textContent = text; if (name) e.className = name; return e; };
        const valueOf = (dialect, axis) => data.dialects[dialect][axis.name] ?? axis.default;
        const meaning = (axis, value) => axis.values[value] || '';

        // Search: every word must stand somewhere in the rule or one of its dialects; where a value's meaning is cited from does not count.
        function wordsOf(e) {
          const copy = e.cloneNode(true);
          for (const c of copy.querySelectorAll('cite')) c.remove();
          return copy.textContent.toLowerCase();
        }
        const rules = [...document.querySelectorAll('.rule')].map(e => ({ e, text: wordsOf(e) }));
        const families = [...document.querySelectorAll('.family')];
        const q = byId('q'), count = byId('count'), index = document.querySelector('.index');
        function search() {
          const words = q.value.toLowerCase().split(/\s+/).filter(w => w);
          let found = 0;
          for (const r of rules) {
            const hit = words.every(w => r.text.includes(w));
            r.e.hidden = !hit;
            if (hit) found++;
          }
          for (const f of families) f.hidden = !f.querySelector('.rule:not([hidden])');
          index.hidden = words.length > 0;
          count.textContent = words.length > 0 ? `${found} of ${rules.length} rules` : '';
        }
        q.addEventListener('input', search);
        q.addEventListener('keydown', e => { if (e.key === 'Escape') { q.value = ''; search(); } });
        document.addEventListener('keydown', e => {
          if (e.key === '/') { if (!/INPUT|SELECT/.test(document.activeElement.tagName)) { e.preventDefault(); q.focus(); } }
        });

        // Axes at their default are written when somebody asks for them.
        document.addEventListener('toggle', e => {
          const d = e.target;
          if (!d.classList.contains('defaults') || !d.open || d.querySelector('table')) return;
          const shown = new Set([...d.previousElementSibling.querySelectorAll('th')].map(t => t.textContent));
          const table = make('table', '', 'axes'), body = table.appendChild(make('tbody'));
          for (const axis of data.axes) {
            if (axis.stage !== d.dataset.stage || shown.has(axis.name)) continue;
            const row = body.appendChild(make('tr')), head = row.appendChild(make('th', axis.name));
            head.scope = 'row';
            row.appendChild(make('td', axis.default));
            const words = meaning(axis, axis.default);
            row.appendChild(make('td', words ? `${axis.text}: ${words}` : axis.text));
          }
          d.appendChild(table);
        }, true);

        // Differences of two.
        const a = byId('a'), b = byId('b'), compared = byId('compare');
        function compare() {
          compared.replaceChildren();
          compared.hidden = !a.value || !b.value;
          if (compared.hidden) return;
          const differing = data.axes.filter(x => valueOf(a.value, x) !== valueOf(b.value, x));
          compared.appendChild(make('h2', `${a.value} and ${b.value}`));
          const many = `${differing.length} of ${data.axes.length} axes differ`;
          compared.appendChild(make('p', differing.length ? many : 'No axis differs: one rule under two names.', 'note'));
          if (!differing.length) return;
          const table = compared.appendChild(make('table')), top = table.appendChild(make('thead')).appendChild(make('tr'));
          for (const t of ['axis', a.value, b.value]) top.appendChild(make('th', t)).scope = 'col';
          const body = table.appendChild(make('tbody'));
          for (const x of differing) {
            const row = body.appendChild(make('tr')), head = row.appendChild(make('th', x.name));
            head.scope = 'row';
            head.appendChild(make('span', `${x.stage}: ${x.text}`, 'small'));
            for (const d of [a.value, b.value]) {
              const cell = row.appendChild(make('td')), value = valueOf(d, x);
              cell.appendChild(make('b', value));
              if (meaning(x, value)) cell.appendChild(make('span', meaning(x, value), 'small'));
            }
          }
        }
        function choose() {
          compare();
          if (!compared.hidden) { history.replaceState(null, '', `#compare=${a.value},${b.value}`); compared.scrollIntoView({ block: 'nearest' }); }
        }
        a.addEventListener('change', choose);
        b.addEventListener('change', choose);

        // Links: #hf.mixtral opens a dialect, #compare=hf.mixtral,hf.dbrx two, #q=words a search.
        function follow() {
          const hash = decodeURIComponent(location.hash.slice(1));
          if (hash.startsWith('compare=')) {
            [a.value, b.value] = hash.slice(8).split(',');
            compare();
            if (!compared.hidden) compared.scrollIntoView();
          } else if (hash.startsWith('q=')) {
            q.value = hash.slice(2);
            search();
          } else if (hash) {
            const target = byId(hash), rule = target ? target.closest('.rule') : null;
            if (!rule) return;
            if (rule.hidden) { q.value = ''; search(); }
            const more = target.tagName === 'H3' ? rule.querySelector('.more') : target.parentElement.querySelector('details');
            if (more) more.open = true;
            target.scrollIntoView();
          }
        }
        addEventListener('hashchange', follow);
        follow();

        """;
}
