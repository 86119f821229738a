// output_store_test.cc - spools of nodes that are gone: whole or not there, read, evicted in order.

#include "store-server/output_store.h"

#include "tests/store-server/support.h"

namespace leat::blobs {
namespace {

namespace fs = std::filesystem;

class OutputStoreTest : public ::testing::Test {
 protected:
  void open() {
    room_ = std::make_unique<Room>(1'000'000);
    auto opened = OutputStore::open(home_ / "outputs", *room_);
    ASSERT_TRUE(opened.ok()) << opened.refusal().message;
    store_ = std::move(opened).value();
  }

  static NodeRef node(std::uint32_t id) { return {NodeId{id}, NodeEpoch{id + 100}}; }
  static RunId run(Index index) { return {JobId{17}, 0, 1, index}; }

  // A spool as an agent leaves it: run 0 wrote "out-N" and "err", run 1 nothing.
  std::vector<SpoolFile> make_spool(std::uint32_t id) {
    const std::string path = home_ / ("spool-" + std::to_string(id));
    EXPECT_TRUE(ensure_private_directory(path).ok());
    auto index = std::move(spool::SpoolIndex::open(path)).value();
    index.add_stage({JobId{17}, 0}, IndexList::parse("0-9").value());
    const std::string out = "before, out-" + std::to_string(id);
    spill(path + "/slot-2.5.out", out);
    spill(path + "/slot-2.5.err", "err");
    index.add(run(0), {2, 5, {8, out.size() - 8, false}, {0, 3, true}});
    index.add(run(1), {});
    EXPECT_TRUE(index.write().ok());
    std::vector<SpoolFile> files;
    for (const auto& file : fs::directory_iterator(path))
      files.push_back({file.path().filename(), file.file_size()});
    return files;
  }

  // As the service does, the upload being a copy.
  void bring(std::uint32_t id, const SpoolFile& file) {
    const Result<std::string> place = store_->place_for(node(id), file.name);
    ASSERT_TRUE(place.ok()) << place.refusal().message;
    fs::copy_file(home_ / ("spool-" + std::to_string(id)) + "/" + file.name, place.value(),
                  fs::copy_options::overwrite_existing);
    store_->note(node(id), file);
  }

  void bring_all(std::uint32_t id) {
    const std::vector<SpoolFile> files = make_spool(id);
    for (const SpoolFile& file : files) bring(id, file);
    const Result<Done> kept = store_->keep(node(id), files);
    ASSERT_TRUE(kept.ok()) << kept.refusal().message;
  }

  std::string read(std::uint32_t id, Index index, spool::Stream stream, std::uint64_t offset = 0) {
    const Result<OutputStore::Piece> piece =
        store_->read(node(id), run(index), stream, offset, 100);
    return piece.ok() ? piece.value().data : "refused: " + piece.refusal().message;
  }

  PrivateDirectory home_;
  std::unique_ptr<Room> room_;
  std::unique_ptr<OutputStore> store_;
};

TEST_F(OutputStoreTest, GivesBackWhatARunWrote) {
  open();
  bring_all(3);
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(read(3, 0, spool::Stream::kOutput), "out-3");
    EXPECT_EQ(read(3, 0, spool::Stream::kOutput, 4), "3");
    EXPECT_EQ(read(3, 0, spool::Stream::kOutput, 5), "");
    EXPECT_EQ(read(3, 0, spool::Stream::kError), "err");
    EXPECT_TRUE(store_->read(node(3), run(0), spool::Stream::kError, 0, 1).value().truncated);
    EXPECT_EQ(read(3, 1, spool::Stream::kOutput), "");
    EXPECT_NE(read(3, 2, spool::Stream::kOutput).find("no output of this run"), std::string::npos);
    EXPECT_NE(read(4, 0, spool::Stream::kOutput).find("no output of node 4"), std::string::npos);
    store_ = nullptr;
    open();  // as a new life finds it
  }
}

TEST_F(OutputStoreTest, ShowsNothingOfASpoolThatIsNotWhole) {
  open();
  const std::vector<SpoolFile> files = make_spool(3);
  for (std::size_t there = 0; there < files.size(); ++there) {
    EXPECT_NE(read(3, 0, spool::Stream::kOutput).find("no output of node 3"), std::string::npos);
    EXPECT_FALSE(store_->keep(node(3), files).ok());
    bring(3, files[there]);
    // A crash after any of them.
    store_ = nullptr;
    open();
    EXPECT_EQ(store_->files(node(3)).size(), there + 1);
  }
  std::vector<SpoolFile> longer = files;
  ++longer[0].length;
  EXPECT_EQ(store_->keep(node(3), longer).refusal().reason, Reason::kConflict);
  EXPECT_TRUE(store_->keep(node(3), files).ok());
  EXPECT_TRUE(store_->keep(node(3), files).ok()) << "said again";
  EXPECT_EQ(read(3, 0, spool::Stream::kOutput), "out-3");
}

TEST_F(OutputStoreTest, TakesMoreFromANodeThatWentOnAfterAll) {
  open();
  bring_all(3);
  const std::uint64_t bytes = store_->bytes();
  std::vector<SpoolFile> files = store_->files(node(3));
  spill(home_ / "spool-3/slot-7.0.out", "more");
  bring(3, {"slot-7.0.out", 4});
  EXPECT_NE(read(3, 0, spool::Stream::kOutput).find("no output"), std::string::npos);
  EXPECT_TRUE(store_->keep(node(3), files).ok());
  EXPECT_EQ(read(3, 0, spool::Stream::kOutput), "out-3");
  EXPECT_EQ(store_->bytes(), bytes) << "what is not named goes";
  EXPECT_FALSE(fs::exists(home_ / "outputs/3-103/slot-7.0.out"));
}

TEST_F(OutputStoreTest, DeletesTheOldestFirstAndSaysSo) {
  open();
  for (const std::uint32_t id : {5u, 3u, 4u}) bring_all(id);
  const std::uint64_t each = store_->bytes() / 3;
  EXPECT_EQ(store_->evict(), each);
  EXPECT_EQ(read(5, 0, spool::Stream::kOutput),
            "refused: output deleted: leat-store needed the room that the output of node 5 took");
  EXPECT_EQ(read(3, 0, spool::Stream::kOutput), "out-3");
  EXPECT_EQ(store_->evict(), each);
  EXPECT_EQ(read(4, 0, spool::Stream::kOutput), "out-4");
  EXPECT_EQ(store_->evict(), each);
  EXPECT_EQ(store_->evict(), std::nullopt);
  EXPECT_EQ(store_->bytes(), 0u);
  store_ = nullptr;
  open();
  EXPECT_NE(read(3, 0, spool::Stream::kOutput).find("output deleted"), std::string::npos);
}

TEST_F(OutputStoreTest, DoesNotDeleteWhatIsOnItsWay) {
  open();
  bring(3, make_spool(3).front());
  EXPECT_EQ(store_->evict(), std::nullopt);
}

TEST_F(OutputStoreTest, EndsADeletionThatACrashInterrupted) {
  open();
  bring_all(3);
  bring_all(4);
  // Killed after it had said that it deletes, and with one file gone.
  spill(home_ / "outputs/3-103.gone", "");
  fs::remove(home_ / "outputs/3-103/index.log");
  store_ = nullptr;
  open();
  EXPECT_FALSE(fs::exists(home_ / "outputs/3-103"));
  EXPECT_NE(read(3, 0, spool::Stream::kOutput).find("output deleted"), std::string::npos);
  EXPECT_EQ(read(4, 0, spool::Stream::kOutput), "out-4");
}

TEST_F(OutputStoreTest, CountsIntoTheRoomItTakes) {
  open();
  bring_all(3);
  EXPECT_FALSE(room_->reserve(1'000'001 - store_->bytes()).ok());
  EXPECT_TRUE(room_->reserve(1'000'000 - store_->bytes()).ok());
}

}  // namespace
}  // namespace leat::blobs
