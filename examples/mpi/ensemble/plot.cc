#include "examples/mpi/ensemble/plot.h"

#include <iomanip>
#include <string_view>

namespace ensemble {
namespace {

constexpr double kWidth = 640;
constexpr double kHeight = 400;
constexpr double kMargin = 50;
constexpr int kMarks = 5;  // on either axis

// Values to places along an axis, with some room before the first and behind the last.
class Axis {
 public:
  Axis(double lowest, double highest, double first, double last)
      : range_(highest > lowest ? highest - lowest : 1),
        lowest_(lowest - range_ * kRoom),
        first_(first),
        last_(last) {}

  [[nodiscard]] double place(double value) const {
    return first_ + (last_ - first_) * (value - lowest_) / (range_ * (1 + 2 * kRoom));
  }
  [[nodiscard]] double mark(int number) const {
    return lowest_ + range_ * (1 + 2 * kRoom) * number / (kMarks - 1);
  }

 private:
  static constexpr double kRoom = 0.1;
  double range_, lowest_, first_, last_;
};

void text(std::ostream& to, double x, double y, std::string_view anchor, double value) {
  to << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\">"
     << std::setprecision(3) << value << std::setprecision(6) << "</text>\n";
}

void frame(std::ostream& to, const Axis& across, const Axis& up) {
  to << "<path d=\"M" << kMargin << ' ' << kMargin << 'V' << kHeight - kMargin << 'H'
     << kWidth - kMargin << "\" stroke=\"black\" fill=\"none\"/>\n";
  for (int i = 0; i < kMarks; ++i) {
    text(to, across.place(across.mark(i)), kHeight - kMargin + 16, "middle", across.mark(i));
    text(to, kMargin - 6, up.place(up.mark(i)) + 4, "end", up.mark(i));
  }
  to << "<text x=\"" << kWidth - kMargin << "\" y=\"" << kHeight - kMargin + 34
     << "\" text-anchor=\"end\">conductivity</text>\n<text x=\"" << kMargin << "\" y=\""
     << kMargin - 14 << "\">mean temperature of the plate: mean, sigma, extremes</text>\n";
}

void line(std::ostream& to, double x, double from, double until, int width) {
  to << "<path d=\"M" << x << ' ' << from << 'V' << until << "\" stroke=\"#1b6ca8\" stroke-width=\""
     << width << "\"/>";
}

void point(std::ostream& to, const Axis& up, double x, double conductivity, const Moments& of) {
  to << "<g>";
  line(to, x, up.place(of.lowest), up.place(of.highest), 1);
  line(to, x, up.place(of.mean - of.sigma()), up.place(of.mean + of.sigma()), 7);
  to << "<circle cx=\"" << x << "\" cy=\"" << up.place(of.mean) << "\" r=\"5\" fill=\"#d1495b\"/>"
     << "<title>conductivity " << conductivity << ": " << of.count << " runs, mean " << of.mean
     << ", sigma " << of.sigma() << ", " << of.lowest << " to " << of.highest << "</title></g>\n";
}

}  // namespace

void plot(std::ostream& to, const Statistics& statistics) {
  const auto& by = statistics.by_conductivity;
  double lowest = statistics.all.lowest;
  double highest = statistics.all.highest;
  for (const auto& [conductivity, of] : by) {
    lowest = std::min(lowest, of.mean - of.sigma());
    highest = std::max(highest, of.mean + of.sigma());
  }
  const Axis across(by.begin()->first, by.rbegin()->first, kMargin, kWidth - kMargin);
  const Axis up(lowest, highest, kHeight - kMargin, kMargin);
  to << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << kWidth << ' ' << kHeight
     << "\" font-family=\"sans-serif\" font-size=\"12\">\n"
     << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  frame(to, across, up);
  for (const auto& [conductivity, of] : by)
    point(to, up, across.place(conductivity), conductivity, of);
  to << "</svg>\n";
}

}  // namespace ensemble
