#include "scheduler/core/granted_wishes.h"

namespace leat::core {

const Granted* GrantedWishes::find(WishKind kind, std::string_view key, Time now) const {
  const auto found = by_key_.find({kind, key});
  if (found == by_key_.end()) return nullptr;
  const Granted& wish = at(found->second);
  return now - wish.at < kKeyLife ? &wish : nullptr;
}

void GrantedWishes::append(Granted wish) {
  granted_.push_back(std::move(wish));
  const Name name = name_of(granted_.back());
  // Not assigned: the name of an older entry is in a wish that goes sooner.
  by_key_.erase(name);
  by_key_.emplace(name, next() - 1);
}

void GrantedWishes::drop_oldest() {
  const auto found = by_key_.find(name_of(granted_.front()));
  if (found->second == first_) by_key_.erase(found);
  granted_.pop_front();
  ++first_;
}

void GrantedWishes::add(Granted wish) {
  const Time now = wish.at;
  append(std::move(wish));
  for (std::size_t n = 0; n < kKeysDroppedPerWish; ++n) {
    const bool goes = granted_.size() > kKeysKept || now - granted_.front().at >= kKeyLife;
    if (!goes) return;
    drop_oldest();
  }
}

bool GrantedWishes::restore(std::uint64_t number, Granted wish) {
  if (granted_.empty()) first_ = number;
  if (number != next()) return false;
  append(std::move(wish));
  return true;
}

}  // namespace leat::core
