// Pages for people: plain HTML, which needs no script and no other file. What they show is escaped
// where it is put in, and the browser is told to load and run nothing.

import HTTPServer

/// A page. Its body is HTML already.
struct HTMLPage {
    let title: String
    var body = ""

    init(_ title: String) {
        self.title = title
    }

    /// Adds HTML.
    mutating func add(_ html: String) {
        body += html + "\n"
    }

    /// The answer. Without a policy of its own a page may load from anywhere.
    func response() -> HTTPResponse {
        let html = """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>\(Self.escaped(title))</title>
            <style>\(Self.style)</style>
            <main>
            \(body)</main>
            </html>

            """
        var response = HTTPResponse(
            status: 200, contentType: MediaType.html.contentType, body: Array(html.utf8))
        response.addField(
            "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        return response
    }

    /// Text as it may stand between tags and in attributes.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    private static let style = """
        :root{color-scheme:light dark;--ink:#1d2433;--dim:#667085;--paper:#fff;--panel:#f5f6f8;\
        --line:#e2e5ea;--full:#c9cfd9;--free:#2f7d5b;--link:#1f5fbf;--bad:#b3372f}
        @media(prefers-color-scheme:dark){:root{--ink:#e4e7ec;--dim:#98a2b3;--paper:#12161f;\
        --panel:#1b212d;--line:#2c3442;--full:#3a4456;--free:#4fae85;--link:#7db1ff;--bad:#f0857c}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
        main{max-width:62rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
        h1{font-size:1.9rem;line-height:1.2;margin:0 0 .25rem;letter-spacing:-.01em}
        h2{font-size:1.15rem;margin:2.5rem 0 .5rem}
        p{margin:.4rem 0 .8rem;max-width:44rem}
        .dim,caption,th{color:var(--dim)}
        a{color:var(--link)}
        code,pre,td,th{font-variant-numeric:tabular-nums}
        code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.88em}
        pre{background:var(--panel);border:1px solid var(--line);border-radius:.4rem;\
        padding:.7rem .9rem;white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0 1rem;\
        line-height:1.5}
        .wide{overflow-x:auto}
        table{border-collapse:collapse;width:100%;font-size:.9rem}
        th{font-weight:500;text-align:right;padding:.3rem .5rem;white-space:nowrap}
        td{text-align:right;padding:.3rem .5rem;border-top:1px solid var(--line);\
        white-space:nowrap}
        .l{text-align:left}
        .bar{display:inline-block;width:7rem;height:.6rem;border-radius:.3rem;overflow:hidden;\
        background:var(--full);vertical-align:baseline}
        .bar i{display:block;height:100%;background:var(--free)}
        .bad{color:var(--bad)}
        nav{margin-top:2.5rem;padding-top:1rem;border-top:1px solid var(--line)}
        """
}
