#pragma once

// state_table.h - transition tables that look themselves up and prove their own shape.

#include <array>
#include <cstddef>
#include <optional>

namespace leat::core {

template <typename State, typename Step>
struct Transition {
  State from;
  Step on;
  State to;
};

template <typename State, typename Step, std::size_t N>
using TransitionTable = std::array<Transition<State, Step>, N>;

// Where `on` leads from `from`; nothing if that is not a legal step.
template <typename State, typename Step, std::size_t N>
constexpr std::optional<State> next(const TransitionTable<State, Step, N>& table, State from,
                                    Step on) {
  for (const auto& row : table)
    if (row.from == from && row.on == on) return row.to;
  return std::nullopt;
}

// No row twice; nothing leaves a terminal state; every state but `first` can be reached, and from
// every state that is not terminal something leads on. States are 0..state_count-1, at most 32.
template <typename State, typename Step, std::size_t N, typename Terminal>
constexpr bool is_sound(const TransitionTable<State, Step, N>& table, State first,
                        unsigned state_count, Terminal is_terminal) {
  unsigned reached = 1u << static_cast<unsigned>(first);
  unsigned left = 0;
  for (std::size_t i = 0; i < N; ++i) {
    if (is_terminal(table[i].from)) return false;
    left |= 1u << static_cast<unsigned>(table[i].from);
    for (std::size_t j = i + 1; j < N; ++j)
      if (table[i].from == table[j].from && table[i].on == table[j].on) return false;
  }
  // As many rounds as there are states find everything that can be reached.
  for (unsigned round = 0; round < state_count; ++round)
    for (const auto& row : table)
      if ((reached >> static_cast<unsigned>(row.from)) & 1u)
        reached |= 1u << static_cast<unsigned>(row.to);
  for (unsigned s = 0; s < state_count; ++s) {
    if (!((reached >> s) & 1u)) return false;
    if (!is_terminal(static_cast<State>(s)) && !((left >> s) & 1u)) return false;
  }
  return true;
}

}  // namespace leat::core
