#include "report/html_report.h"

#include <fmt/format.h>

#include <string_view>

#include "base/error.h"
#include "io/atomic_file.h"
#include "report/table.h"

namespace fourstep {

namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--page:#fff;--text:#1b1d21;--faint:#5c626c;--line:#dfe2e7;--soft:#f5f6f8;
--warn:#fff4e0;--warn-line:#d98a00;--good:#e9f7ee;--good-line:#2f9e5a}
@media(prefers-color-scheme:dark){:root{--page:#16181d;--text:#e4e6ea;--faint:#a0a6b0;--line:#31353e;
--soft:#1e2128;--warn:#33270f;--warn-line:#e0a030;--good:#14291c;--good-line:#4cc47f}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:86rem;margin:0 auto;padding:1rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.25;margin:.5rem 0 1rem}
h2{font-size:1.3rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
h3{font-size:1.08rem;margin:1.5rem 0 .4rem}
p{max-width:46rem;margin:.6rem 0;white-space:pre-line;overflow-wrap:anywhere}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,34rem),1fr));gap:1rem;margin:1rem 0}
figure{margin:1rem 0;min-width:0}
.plots figure{margin:0}
figcaption{color:var(--faint);font-size:.9rem;margin-top:.3rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
.scroll>svg{display:block;width:100%;min-width:30rem;height:auto}
img{display:block;max-width:100%;height:auto;border-radius:4px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.35rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}
th{background:var(--soft);font-weight:600;white-space:nowrap}
tbody tr:last-child td{border-bottom:0}
.table{display:inline-block;max-width:100%}
.left{text-align:left}.center{text-align:center}.right{text-align:right}
.warnings,.fine{max-width:60rem;margin:1rem 0;padding:.7rem 1rem;border-radius:4px;border-left:4px solid}
.warnings{background:var(--warn);border-color:var(--warn-line)}
.fine{background:var(--good);border-color:var(--good-line)}
.warnings ul{margin:.3rem 0 0;padding-left:1.2rem}
.warnings li{margin:.4rem 0}
)";

/// `text` for a URL: what RFC 3986 leaves unreserved, and slashes, stay.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kPlain = "-._~/";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_letter_or_digit = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                                    (byte >= 'a' && byte <= 'z');
    out += is_letter_or_digit || kPlain.find(c) != std::string_view::npos
               ? std::string(1, c)
               : fmt::format("%{:02X}", byte);
  }
  return out;
}

std::string caption_html(const std::string& caption) {
  return caption.empty() ? "" : fmt::format("<figcaption>{}</figcaption>", escape_markup(caption));
}

std::string section_html(const ReportHeading& heading) {
  if (heading.level < 2 || heading.level > 3)
    throw InvalidRequest("html_report: the heading \"{}\" has level {}, expected 2 or 3",
                         heading.text, heading.level);
  return fmt::format("<h{0}>{1}</h{0}>\n", heading.level, escape_markup(heading.text));
}

std::string section_html(const ReportParagraph& paragraph) {
  return fmt::format("<p>{}</p>\n", escape_markup(paragraph.text));
}

std::string section_html(const ReportTable& table) {
  return fmt::format("<figure class=\"table\"><div class=\"scroll\">\n{}</div>{}</figure>\n",
                     html_from_table(table.table), caption_html(table.caption));
}

std::string section_html(const ReportPlot& plot) {
  const bool is_plain =
      plot.svg.starts_with("<svg") && plot.svg.find("<script") == std::string::npos;
  if (!is_plain)
    throw InvalidRequest("html_report: the plot \"{}\" is no <svg> element without script",
                         plot.caption);
  return fmt::format("<figure><div class=\"scroll\">\n{}</div>{}</figure>\n", plot.svg,
                     caption_html(plot.caption));
}

std::string section_html(const ReportPicture& picture) {
  const std::string& source = picture.source;
  if (source.empty() || source.front() == '/' || source.find(':') != std::string::npos)
    throw InvalidRequest(
        "html_report: the picture \"{}\" has the source \"{}\", expected a relative link",
        picture.caption, source.substr(0, 80));
  const std::string& description =
      picture.description.empty() ? picture.caption : picture.description;
  const std::string image =
      fmt::format("<img src=\"{}\" alt=\"{}\">", escape_markup(source), escape_markup(description));
  return fmt::format("<figure><a href=\"{}\">{}</a>{}</figure>\n", escape_markup(source), image,
                     caption_html(picture.caption));
}

std::string section_html(const ReportWarnings& warnings) {
  if (warnings.sentences.empty()) return "<div class=\"fine\">No warnings.</div>\n";
  std::string items;
  for (const std::string& sentence : warnings.sentences) {
    items += fmt::format("<li>{}</li>\n", escape_markup(sentence));
  }
  const size_t count = warnings.sentences.size();
  return fmt::format("<div class=\"warnings\"><strong>{} warning{}</strong>\n<ul>\n{}</ul></div>\n",
                     count, count == 1 ? "" : "s", items);
}

bool is_plot(const ReportSection& section) { return std::holds_alternative<ReportPlot>(section); }

}  // namespace

std::string linked_picture(const std::filesystem::path& path) {
  if (path.empty() || path.is_absolute())
    throw InvalidRequest("link(\"{}\"): pictures are linked relative to the folder of the report",
                         path.string());
  return percent_encoded(path.generic_string());
}

std::string html_from_report(const HtmlReport& report) {
  std::string body;
  for (size_t i = 0; i < report.sections.size(); ++i) {
    const bool is_in_grid = is_plot(report.sections[i]);
    if (is_in_grid && (i == 0 || !is_plot(report.sections[i - 1])))
      body += "<div class=\"plots\">\n";
    body +=
        std::visit([](const auto& section) { return section_html(section); }, report.sections[i]);
    if (is_in_grid && (i + 1 == report.sections.size() || !is_plot(report.sections[i + 1])))
      body += "</div>\n";
  }
  const std::string title = escape_markup(report.title);
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n{2}</main>\n"
      "</body>\n</html>\n",
      title, kStyle, body);
}

void write_report(const std::filesystem::path& path, const HtmlReport& report) {
  const std::string page = html_from_report(report);
  write_atomically(path, [&](std::ostream& out) { out << page; });
}

}  // namespace fourstep
